//! Browser tier: tracker, seeder and real Chromium, one process a tab.

mod messages;
mod outliving;
mod reading;
mod watching;

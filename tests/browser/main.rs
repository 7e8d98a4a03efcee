//! Browser tier: tracker, seeder and real Chromium, one process a tab.

mod closed;
mod describing;
mod encrypted;
mod messages;
mod outliving;
mod proxies;
mod reading;
mod relays;
mod sharing;
mod starting;
mod storage;
mod watching;

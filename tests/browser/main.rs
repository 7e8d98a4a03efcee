//! Browser tier: tracker, seeder and real Chromium, one process a tab.

mod accessibility;
mod closed;
mod describing;
mod encrypted;
mod messages;
mod mirrors;
mod outliving;
mod player;
mod proxies;
mod reading;
mod relays;
mod several;
mod sharing;
mod starting;
mod storage;
mod trackers;
mod watching;

//! Browser tier: tracker, seeder and real Chromium, one process a tab.

mod accessibility;
mod accessible_embed;
mod closed;
mod consent;
mod describing;
mod embedding;
mod encrypted;
mod firefox;
mod language;
mod messages;
mod mirrors;
mod outliving;
mod player;
mod proxies;
mod reading;
mod relays;
mod searching;
mod several;
mod sharing;
mod sound;
mod starting;
mod storage;
mod storyboards;
mod trackers;
mod watching;
mod ways;

//! The native peer against real sockets and files.

mod link;

//! The program `tracker-server`.

fn main() -> std::process::ExitCode {
    tracker_server::program::main()
}

//! The program `seeder`.

fn main() -> std::process::ExitCode {
    peer_native::program::main()
}

//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    // Before anything can make a connection: the library is built without a default.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().expect("nobody else installs a provider before main");
    ergane::cli::main()
}

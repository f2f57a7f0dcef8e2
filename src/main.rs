//! The binary: everything is in the library.

/// Requests are made on one thread and freed on another; the system's allocator makes threads wait
/// for one another there, and took a quarter of the time under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Before anything can make a connection: the library is built without a default.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().expect("nobody else installs a provider before main");
    ergane::cli::main()
}

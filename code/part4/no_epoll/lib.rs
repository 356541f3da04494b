//! nix, with the names of `nix::sys::epoll` on a system that has no epoll, such as macOS.
//! Programs that wait with epoll take it in the place of nix there: they compile, and
//! end with one line when they ask for an epoll.

pub use nix::*;

/// As nix's, and with `epoll`.
pub mod sys {
    pub use nix::sys::*;

    /// What programs of the course use of nix's module of this name.
    pub mod epoll {
        use nix::errno::Errno;
        use std::os::fd::AsFd;

        pub use nix::poll::PollTimeout as EpollTimeout;

        /// What to look for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct EpollFlags(u32);

        impl EpollFlags {
            pub const EPOLLIN: EpollFlags = EpollFlags(0x1);
            pub const EPOLLOUT: EpollFlags = EpollFlags(0x4);
            pub const EPOLLERR: EpollFlags = EpollFlags(0x8);
            pub const EPOLLHUP: EpollFlags = EpollFlags(0x10);
            pub const EPOLLRDHUP: EpollFlags = EpollFlags(0x2000);
            pub const EPOLLEXCLUSIVE: EpollFlags = EpollFlags(1 << 28);
            pub const EPOLLET: EpollFlags = EpollFlags(1 << 31);

            /// None of them.
            pub fn empty() -> EpollFlags {
                EpollFlags(0)
            }

            /// Whether all of `other` are among them.
            pub fn contains(&self, other: EpollFlags) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether one of `other` is among them.
            pub fn intersects(&self, other: EpollFlags) -> bool {
                self.0 & other.0 != 0
            }
        }

        impl std::ops::BitOr for EpollFlags {
            type Output = EpollFlags;

            fn bitor(self, other: EpollFlags) -> EpollFlags {
                EpollFlags(self.0 | other.0)
            }
        }

        /// How to make one.
        #[derive(Clone, Copy, Debug)]
        pub struct EpollCreateFlags;

        impl EpollCreateFlags {
            pub const EPOLL_CLOEXEC: EpollCreateFlags = EpollCreateFlags;
        }

        /// What has happened, or is to be looked for, and to whom.
        #[derive(Clone, Copy, Debug)]
        pub struct EpollEvent(EpollFlags, u64);

        impl EpollEvent {
            pub fn new(events: EpollFlags, data: u64) -> EpollEvent {
                EpollEvent(events, data)
            }

            pub fn empty() -> EpollEvent {
                EpollEvent(EpollFlags::empty(), 0)
            }

            pub fn events(&self) -> EpollFlags {
                self.0
            }

            pub fn data(&self) -> u64 {
                self.1
            }
        }

        /// None can be made.
        #[derive(Debug)]
        pub struct Epoll(());

        impl Epoll {
            /// Ends the program.
            pub fn new(_: EpollCreateFlags) -> nix::Result<Epoll> {
                eprintln!("this system has no epoll: the program needs Linux");
                std::process::exit(1)
            }

            pub fn add<Fd: AsFd>(&self, _: Fd, _: EpollEvent) -> nix::Result<()> {
                Err(Errno::ENOSYS)
            }

            pub fn modify<Fd: AsFd>(&self, _: Fd, _: &mut EpollEvent) -> nix::Result<()> {
                Err(Errno::ENOSYS)
            }

            pub fn delete<Fd: AsFd>(&self, _: Fd) -> nix::Result<()> {
                Err(Errno::ENOSYS)
            }

            pub fn wait<T: Into<EpollTimeout>>(
                &self,
                _: &mut [EpollEvent],
                _: T,
            ) -> nix::Result<usize> {
                Err(Errno::ENOSYS)
            }
        }
    }
}

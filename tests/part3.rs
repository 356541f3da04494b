//! What Part 3 says of its servers.

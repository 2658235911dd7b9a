//! The address-space map and the program loader.

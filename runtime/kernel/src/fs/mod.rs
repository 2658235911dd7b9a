//! Mounts, paths, descriptors, files.

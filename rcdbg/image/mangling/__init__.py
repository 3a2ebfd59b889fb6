"""The two schemes by which rustc mangles names: each is read by a module of its own."""

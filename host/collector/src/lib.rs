//! A DX-compatible server that stores, shows and forwards pipeline runs.

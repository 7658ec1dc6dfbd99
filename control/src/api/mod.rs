//! The control API: HTTP with JSON over a Unix socket.

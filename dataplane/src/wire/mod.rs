//! Views of wire formats that cannot panic: bytes become a type once, after that no length is checked again.

pub mod esp;
pub mod icmp;
pub mod ip;
pub mod source;
pub mod tcp;
pub mod tcp_offer;
pub mod traffic_class;

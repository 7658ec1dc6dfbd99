//! The web page: files that are built into the program, and who may see them. It asks the API as everybody does.
//!
//! By TCP a browser has no token to show with each request. It shows it once, in a form, and gets a cookie for it ([`sign_in`], [`login`]).

pub mod files;
pub mod headers;
pub mod login;
pub mod sign_in;

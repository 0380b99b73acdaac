//! Each layer alone, on mocks and scripted bodies in paused time: never ready, failed, refused, left half-way.

#[path = "../support/answers.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod answers;
mod aside;
mod gateway;
mod health;
mod normalize;
mod retry;
mod route;
mod streams;
mod support;
mod translate;

mod account;
mod clock;
mod frame;
mod latency;
mod rate;
mod schedule;
mod window;

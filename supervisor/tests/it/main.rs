//! OTP's `supervisor_SUITE` under its own case names, hostile children, chaos, and the comparison with real Erlang.

#[cfg(test)]
mod chaos;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod dynamic;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod intensity;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod significant;
#[cfg(test)]
mod start;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod strategy;
#[cfg(test)]
mod tree;

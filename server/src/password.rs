//! Passwords: Argon2id, at most two at a time, off the threads that serve.

use argon2::{
    Argon2, Block, Params,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Memory of one hash in KiB: OWASP's least for two passes.
const MEMORY_KIB: u32 = 19_456;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Hashes at once, which bounds the memory of a flood of logins to 38 MiB.
const AT_ONCE: usize = 2;
/// Bytes of a salt.
const SALT: usize = 16;
/// Shortest password.
pub(crate) const MIN: usize = 10;
/// Longest password.
pub(crate) const MAX: usize = 1_024;

/// Bytes of a hash.
const OUTPUT: usize = 32;

static HASHING: Semaphore = Semaphore::const_new(AT_ONCE);
/// The memory of hashes, which is kept: given back and taken anew on ever other threads it would stay with all of them.
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The library refuses. Remedy: report it.
    #[error("the password cannot be hashed: {0}")]
    Hash(password_hash::Error),
    /// The system gives no random bytes. Remedy: report it.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The node is ending. Remedy: try again.
    #[error("the work was cancelled")]
    Cancelled,
}

fn params() -> Result<Params, PasswordError> {
    Params::new(MEMORY_KIB, PASSES, 1, Some(OUTPUT)).map_err(|error| PasswordError::Hash(error.into()))
}

/// The hash itself, in memory that is used again.
fn compute(password: &str, salt: &[u8], params: &Params) -> Result<Output, PasswordError> {
    let lock = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = lock().pop().unwrap_or_default();
    memory.resize(params.block_count().max(memory.len()), Block::new());
    let mut output = [0; OUTPUT];
    let done = Argon2::from(params.clone()).hash_password_into_with_memory(
        password.as_bytes(),
        salt,
        &mut output,
        &mut memory[..],
    );
    lock().push(memory);
    done.map_err(|error| PasswordError::Hash(error.into()))?;
    Output::new(&output).map_err(|error| PasswordError::Hash(error.into()))
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(PasswordError::Random)?;
    let params = params()?;
    let hash = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(argon2::Version::V0x13.into()),
        hash: Some(compute(password, &salt, &params)?),
        salt: Some(Salt::new(&salt).map_err(|error| PasswordError::Hash(error.into()))?),
        params: ParamsString::try_from(&params).map_err(PasswordError::Hash)?,
    };
    Ok(hash.to_string())
}

fn verify_now(password: &str, hash: Option<&str>) -> Result<bool, PasswordError> {
    let Some(hash) = hash else {
        // As long as with a hash, so that nobody learns from the time whether there is one.
        return compute(password, &[0; SALT], &params()?).map(|_| false);
    };
    let hash = PasswordHash::new(hash).map_err(|error| PasswordError::Hash(error.into()))?;
    let params = Params::try_from(&hash).map_err(PasswordError::Hash)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Ok(false) };
    // The library compares in constant time.
    Ok(compute(password, salt, &params)? == *expected)
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PasswordError> {
    let _permit = HASHING.acquire().await.map_err(|_| PasswordError::Cancelled)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Cancelled)
}

/// The password's hash as PHC string.
pub(crate) async fn hash(password: String) -> Result<String, PasswordError> {
    off_thread(move || hash_now(&password)).await?
}

/// Whether the password is the one of this hash. Without a hash it takes as long and is wrong.
pub(crate) async fn verify(password: String, hash: Option<String>) -> Result<bool, PasswordError> {
    off_thread(move || verify_now(&password, hash.as_deref())).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn password_is_kept_as_argon2id_with_at_least_the_recommended_cost() {
        let hash = hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        // The library's own verification agrees.
        argon2::PasswordVerifier::verify_password(&Argon2::default(), b"correct horse", hash.as_str())
            .unwrap();
        assert!(verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!verify("wrong horse".into(), Some(hash)).await.unwrap());
        assert!(!verify(String::new(), None).await.unwrap());
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        assert_ne!(
            hash("same same same".into()).await.unwrap(),
            hash("same same same".into()).await.unwrap()
        );
    }
}

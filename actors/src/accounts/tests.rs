use super::*;

fn session(id: &str, now: u64) -> Session {
    Session {
        id: id.into(),
        created_at: now,
        seen_at: now,
        expires_at: now + 1_000_000,
        address: "10.0.0.1".into(),
        agent: "test".into(),
    }
}

#[tokio::test]
async fn logins_end_by_age_and_by_idleness() {
    let accounts = Accounts::for_test().await;
    accounts.create_session([1; 32], session("a", 1_000), 500_000).await.unwrap();
    let at = |now| accounts.session([1; 32], now, 500_000);
    assert_eq!(at(2_000).await.unwrap().unwrap().id, "a");
    assert!(at(400_000).await.unwrap().is_some());
    assert!(at(800_000).await.unwrap().is_some(), "its use at 400,000 counts");
    assert!(at(1_001_000).await.unwrap().is_none(), "the absolute end");
    accounts.create_session([2; 32], session("b", 2_000_000), 500_000).await.unwrap();
    assert!(accounts.session([2; 32], 2_500_000, 500_000).await.unwrap().is_none(), "unused for too long");
    assert_eq!(accounts.sessions(2_000_001, 500_000).await.unwrap().len(), 1, "what has ended is forgotten");
}

#[tokio::test]
async fn all_logins_but_one_can_be_ended() {
    let accounts = Accounts::for_test().await;
    for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
        accounts.create_session([n as u8; 32], session(id, 1_000), 500_000).await.unwrap();
    }
    let mut ended = accounts.delete_sessions_but(Some("b")).await.unwrap();
    ended.sort();
    assert_eq!(ended, ["a", "c"]);
    assert!(accounts.delete_session("b").await.unwrap());
    assert!(!accounts.delete_session("b").await.unwrap());
}

#[tokio::test]
async fn the_first_password_is_set_once() {
    let accounts = Accounts::for_test().await;
    assert!(accounts.owner().await.unwrap().password.is_none());
    assert!(accounts.set_password("one".into(), true).await.unwrap());
    assert!(!accounts.set_password("two".into(), true).await.unwrap());
    assert!(accounts.set_password("three".into(), false).await.unwrap());
    assert_eq!(accounts.owner().await.unwrap().password.as_deref(), Some("three"));
}

#[tokio::test]
async fn a_step_of_the_second_factor_counts_once() {
    let accounts = Accounts::for_test().await;
    accounts.set_password("one".into(), true).await.unwrap();
    assert!(accounts.use_totp_step(7).await.unwrap());
    assert!(!accounts.use_totp_step(7).await.unwrap());
    assert!(!accounts.use_totp_step(6).await.unwrap());
    assert!(accounts.use_totp_step(8).await.unwrap());
}

#[tokio::test]
async fn tokens_are_found_by_their_hash_until_they_end() {
    let accounts = Accounts::for_test().await;
    let token = Token {
        id: "t".into(),
        name: "script".into(),
        scope: Scope::Operate,
        created_at: 1,
        used_at: None,
        expires_at: Some(1_000),
    };
    accounts.create_token([7; 32], token.clone()).await.unwrap();
    assert_eq!(accounts.token([7; 32], 500).await.unwrap(), Some(token));
    assert_eq!(accounts.tokens().await.unwrap()[0].used_at, Some(500));
    assert_eq!(accounts.token([7; 32], 1_000).await.unwrap(), None);
    assert_eq!(accounts.token([8; 32], 500).await.unwrap(), None);
    assert!(accounts.delete_token("t").await.unwrap());
}

#[tokio::test]
async fn attempts_are_kept() {
    let accounts = Accounts::for_test().await;
    let sources = || vec!["10.0.0.1".to_owned(), "*".to_owned()];
    let more = |all: &mut [Attempts]| {
        all[0].failures += 1;
        all[1].failures += 1;
        all[0].failures
    };
    assert_eq!(accounts.attempts(sources(), more).await.unwrap(), 1);
    assert_eq!(accounts.attempts(sources(), more).await.unwrap(), 2);
    assert_eq!(accounts.attempts(vec!["10.0.0.2".into()], |all| all[0]).await.unwrap(), Attempts::default());
}

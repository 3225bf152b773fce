//! Two bitcoinds: one makes blocks three days apart, the other is given them one by one.
//!
//! The second is in its initial download until it has a block of the last day.

use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// Blocks until the download is over.
pub(super) const BLOCKS: u64 = 20;
const THREE_DAYS: u64 = 3 * 86_400;
/// A block for anybody.
const ANYBODY: &str = "raw(51)#8lvh9jxk";

/// A bitcoind.
pub(super) struct Rpc {
    http: reqwest::Client,
    url: String,
    password: String,
}

impl Rpc {
    pub(super) fn new(port: u16, password: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { http, url: format!("http://127.0.0.1:{port}/"), password: password.to_owned() }
    }

    async fn try_call(&self, method: &str, params: &Value) -> Result<Value, String> {
        let body = json!({ "id": 1, "method": method, "params": params });
        let request = self.http.post(&self.url).basic_auth("node", Some(&self.password)).json(&body);
        let answer =
            request.timeout(Duration::from_secs(10)).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if answer["error"].is_null() {
            Ok(answer["result"].clone())
        } else {
            Err(answer["error"].to_string())
        }
    }

    pub(super) async fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, &params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Waits until it answers.
    pub(super) async fn ready(&self) {
        let answers = async {
            while self.try_call("uptime", &json!([])).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), answers).await.expect("bitcoind answers");
    }
}

pub(super) struct Chain {
    miner: Rpc,
    node: Rpc,
    /// Hashes of the blocks.
    hashes: Vec<Value>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Chain {
    /// Has the miner make all blocks but gives none away.
    pub(super) async fn mine(miner: Rpc, node: Rpc) -> Self {
        miner.ready().await;
        node.ready().await;
        let mut chain = Self { miner, node, hashes: vec![] };
        let last = now();
        for i in (0..BLOCKS).rev() {
            chain.mine_at(last - i * THREE_DAYS).await;
        }
        chain
    }

    async fn mine_at(&mut self, time: u64) {
        self.miner.call("setmocktime", json!([time])).await;
        let made = self.miner.call("generatetodescriptor", json!([1, ANYBODY])).await;
        self.hashes.push(made[0].clone());
    }

    /// One more block, of now.
    pub(super) async fn mine_now(&mut self) {
        // A little ahead, so that it is not too old when it arrives.
        self.mine_at(now() + 60).await;
    }

    /// Tells the node how many blocks there are.
    pub(super) async fn give_headers(&self) {
        for hash in &self.hashes {
            let header = self.miner.call("getblockheader", json!([hash, false])).await;
            self.node.call("submitheader", json!([header])).await;
        }
    }

    /// Has the node write what it has to the disk, so that a kill loses nothing.
    pub(super) async fn flush(&self) {
        self.node.call("gettxoutsetinfo", json!([])).await;
    }

    /// Gives the node the blocks up to this one.
    pub(super) async fn give(&self, from: u64, to: u64) {
        for height in from..=to {
            let hash = &self.hashes[usize::try_from(height - 1).unwrap()];
            let block = self.miner.call("getblock", json!([hash, 0])).await;
            let refused = self.node.call("submitblock", json!([block])).await;
            assert!(refused.is_null(), "{refused}");
        }
    }
}

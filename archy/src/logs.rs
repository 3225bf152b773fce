//! `archy logs`: the logs of an app's containers.

use crate::{fail::Failure, out::Out};
use futures_util::{Stream, StreamExt, stream};
use protocol::{
    AppId, Row, ServiceName, StreamId,
    client::{Client, ClientError},
};
use std::pin::Pin;

type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<u8>, ClientError>> + Send>>;

pub(crate) async fn run(
    client: &Client,
    app: &AppId,
    service: Option<&ServiceName>,
    tail: u32,
    follow: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let services = match service {
        Some(service) => vec![service.clone()],
        None => services(client, app).await?,
    };
    let width = services.iter().map(|service| service.as_str().len()).max().unwrap_or(0);
    let alone = services.len() == 1;
    let mut logs = Vec::new();
    for service in services {
        let log: Pieces = Box::pin(client.logs(app, &service, tail, follow).await?);
        let prefix = if alone { String::new() } else { format!("{:width$} | ", service.as_str()) };
        logs.push(lines(log, prefix));
    }
    // Followed logs come as they come; finished ones one after the other.
    let mut all =
        if follow { stream::select_all(logs).boxed() } else { stream::iter(logs).flatten().boxed() };
    while let Some(line) = all.next().await {
        out.bytes(&line?)?;
    }
    Ok(())
}

async fn services(client: &Client, app: &AppId) -> Result<Vec<ServiceName>, Failure> {
    let rows = client.snapshot(StreamId::Apps).await?.items;
    let found = rows.into_iter().find_map(|row| match row {
        Row::App(view) if view.id == *app => Some(view),
        _ => None,
    });
    let view = found.ok_or_else(|| Failure::NoApp(app.to_string()))?;
    if view.containers.is_empty() {
        return Err(Failure::NoContainers(app.to_string()));
    }
    Ok(view.containers.into_iter().map(|container| container.service).collect())
}

/// Whole lines, each with the prefix; a last line without an end gets one.
fn lines(log: Pieces, prefix: String) -> Pieces {
    Box::pin(stream::unfold(
        (log, Vec::new(), prefix, false),
        |(mut log, mut rest, prefix, ended)| async move {
            loop {
                if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let after = rest.split_off(end + 1);
                    let line = [prefix.as_bytes(), &rest].concat();
                    return Some((Ok(line), (log, after, prefix, ended)));
                }
                if ended {
                    return None;
                }
                match log.next().await {
                    Some(Ok(piece)) => rest.extend(piece),
                    Some(Err(error)) => return Some((Err(error), (log, Vec::new(), prefix, true))),
                    None if rest.is_empty() => return None,
                    None => {
                        rest.push(b'\n');
                        let line = [prefix.as_bytes(), &rest].concat();
                        return Some((Ok(line), (log, Vec::new(), prefix, true)));
                    }
                }
            }
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut(pieces: &[&str]) -> Vec<String> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(piece.as_bytes().to_vec())).collect();
        let lines = lines(Box::pin(stream::iter(pieces)), "web | ".into());
        lines.map(|line| String::from_utf8(line.unwrap()).unwrap()).collect().await
    }

    #[tokio::test]
    async fn pieces_become_lines_with_their_service() {
        assert_eq!(cut(&["a\nb", "c\n", "d"]).await, ["web | a\n", "web | bc\n", "web | d\n"]);
        assert!(cut(&[]).await.is_empty());
        assert_eq!(cut(&["\n", ""]).await, ["web | \n"]);
    }
}

use super::*;
use std::collections::BTreeSet;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if let (true, Some(text)) = (key == "$ref", value.as_str()) {
                    found.insert(text.to_owned());
                }
                references(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_and_every_type_is_there() {
    let document = document();
    for route in ROUTES {
        assert!(document["paths"][route.path][route.method.to_lowercase()].is_object(), "{}", route.path);
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn operation_ids_are_unique() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let all: Vec<&str> = paths
        .values()
        .flat_map(|methods| methods.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn the_socket_is_described_with_the_types_of_the_schema() {
    let (asyncapi, schema): (Value, Value) =
        (serde_json::from_str(ASYNCAPI).unwrap(), serde_json::from_str(SCHEMA).unwrap());
    let mut found = BTreeSet::new();
    references(&asyncapi, &mut found);
    let mut types = 0;
    for reference in found {
        let (file, pointer) = reference.split_once('#').unwrap();
        let document = if file.is_empty() { &asyncapi } else { &schema };
        assert!(file.is_empty() || file == "archy.v1.json", "{reference}");
        assert!(document.pointer(pointer).is_some(), "{reference}");
        types += usize::from(!file.is_empty());
    }
    assert!(types >= 2, "frames of both sides");
    let codes: Vec<u16> = asyncapi["components"]["x-close-codes"]
        .as_object()
        .unwrap()
        .keys()
        .map(|code| code.parse().unwrap())
        .collect();
    use protocol::close_code as c;
    let known = [
        c::SHUTDOWN,
        c::MESSAGE_TOO_BIG,
        c::RESTART,
        c::BAD_MESSAGE,
        c::UNAUTHENTICATED,
        c::FOREIGN_ORIGIN,
        c::VERSION,
        c::HEARTBEAT,
        c::TOO_MUCH,
        c::TOO_SLOW,
    ];
    assert_eq!(codes, known);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let html = html();
    for bad in ["<script", "http://", "https://", "src="] {
        // Schemas name their standard by its address, which nobody opens.
        assert!(!html.split("<h2>Types").next().unwrap().contains(bad), "{bad}");
    }
    for route in ROUTES {
        assert!(html.contains(route.path));
    }
}

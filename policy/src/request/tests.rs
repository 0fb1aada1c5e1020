use super::*;
use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::value::{Text, Value};

fn problem(text: &str) -> (RequestProblem, usize) {
    let fault = text.parse::<Request>().unwrap_err();
    (fault.problem, fault.pointer.character())
}

fn words(limit: &Limit) -> Vec<&str> {
    match limit {
        Limit::OneOf(words) => words.iter().map(|word| word.text.as_str()).collect(),
        Limit::AtMost(_, word) | Limit::AtLeast(_, word) | Limit::Between(_, word) => {
            vec![&word.text]
        }
    }
}

#[test]
fn a_request_is_a_verb_and_pins() {
    let request: Request = "ssh.tail_logs:service=web|db,lines<=100,since>=5".parse().unwrap();
    assert_eq!(request.verb.as_str(), "ssh.tail_logs");
    let names: Vec<_> = request.pins.iter().map(|pin| pin.parameter.as_str()).collect();
    assert_eq!(names, ["service", "lines", "since"]);
    let limits: Vec<_> = request.pins.iter().map(|pin| words(&pin.limit)).collect();
    assert_eq!(limits, [vec!["web", "db"], vec!["100"], vec!["5"]]);
    assert!(matches!(request.pins[1].limit, Limit::AtMost(..)));
    assert!(matches!(request.pins[2].limit, Limit::AtLeast(..)));
    assert!("ssh.tail_logs".parse::<Request>().unwrap().pins.is_empty());
}

#[test]
fn a_quoted_value_may_hold_anything() {
    let request: Request = r#"a.b:x='a,b|c*"=',y="it's",z='it''s',w=''"#.parse().unwrap();
    let limits: Vec<_> = request.pins.iter().map(|pin| words(&pin.limit).remove(0)).collect();
    assert_eq!(limits, ["a,b|c*\"=", "it's", "it's", ""]);
}

#[test]
fn a_fault_points_at_the_character() {
    assert!(matches!(problem("ssh:x=1"), (RequestProblem::Name(_), 0)));
    assert!(matches!(problem("a.b:X=1"), (RequestProblem::Name(_), 4)));
    assert!(matches!(problem("a.b:"), (RequestProblem::Name(_), 4)));
    assert!(matches!(problem("a.b:x=1,"), (RequestProblem::Name(_), 8)));
    assert_eq!(problem("a.b:x"), (RequestProblem::Operator, 5));
    assert_eq!(problem("a.b:x<5"), (RequestProblem::Operator, 5));
    assert_eq!(problem("a.b:x="), (RequestProblem::Value, 6));
    assert_eq!(problem("a.b:x=1|"), (RequestProblem::Value, 8));
    assert_eq!(problem("a.b:x#5"), (RequestProblem::Operator, 6));
    assert_eq!(problem("a.b:x[]=5"), (RequestProblem::Operator, 5));
    assert_eq!(problem("a.b:x#<="), (RequestProblem::Value, 8));
    assert_eq!(problem("a.b:x=~web"), (RequestProblem::Tilde, 6));
    assert_eq!(problem("a.b:x=a|~'b"), (RequestProblem::Quote, 9));
    assert_eq!(problem("a.b:x=~'a'b"), (RequestProblem::Unexpected('b'), 10));
    assert_eq!(problem("a.b:x='a'//"), (RequestProblem::Unexpected('/'), 10));
    assert_eq!(problem("a.b:x=*.a.com/"), (RequestProblem::Star, 6));
    assert_eq!(problem("a.b:x=https://*a.com/"), (RequestProblem::Star, 14));
    assert_eq!(problem("a.b:x=https://*.a.com/*/"), (RequestProblem::Star, 22));
    assert_eq!(problem("a.b:x=é,y='abc"), (RequestProblem::Quote, 10));
    assert_eq!(problem("a.b:x='a'b"), (RequestProblem::Unexpected('b'), 9));
    assert_eq!(problem("a.b:x<=1|2"), (RequestProblem::Unexpected('|'), 8));
    assert_eq!(problem("a.b:x=a*b"), (RequestProblem::Star, 7));
    assert!(matches!(problem(&"a".repeat(8193)), (RequestProblem::TooLong, 0)));
}

#[test]
fn a_request_has_at_most_64_pins() {
    let request = |pins| format!("a.b:{}", vec!["x=1"; pins].join(","));
    assert_eq!(request(63).parse::<Request>().unwrap().pins.len(), 63);
    assert_eq!(request(64).parse::<Request>().unwrap().pins.len(), 64);
    assert_eq!(problem(&request(65)), (RequestProblem::TooManyPins, 4 + 64 * 4));
    let fault = request(65).parse::<Request>().unwrap_err().to_string();
    assert!(fault.starts_with("a request may have at most 64 pins\n"), "{fault}");
}

#[test]
fn a_request_has_at_most_8192_bytes() {
    let request = |bytes: usize| format!("a.b:x='{}'", "y".repeat(bytes - 8));
    assert!(request(8191).parse::<Request>().is_ok());
    assert!(request(8192).parse::<Request>().is_ok());
    assert_eq!(problem(&request(8193)), (RequestProblem::TooLong, 0));
}

#[test]
fn a_fault_is_drawn_with_a_mark_under_the_character() {
    let fault = "a.b:x='\n',y".parse::<Request>().unwrap_err().to_string();
    let lines: Vec<_> = fault.lines().collect();
    assert_eq!(lines[1], r"   a.b:x='\n',y");
    assert_eq!(lines[2], "               ^");
}

#[test]
fn a_words_meaning_follows_the_kind() {
    let settled = |text: &str, kind| {
        let request: Request = format!("a.b:x={text}").parse().unwrap();
        request.pins[0].limit.settle(kind).map(|mut each| each.remove(0))
    };
    assert_eq!(settled("1..5", Kind::Int), Ok(Constraint::Range { min: 1, max: 5 }));
    assert_eq!(settled("1..5", Kind::Text), Ok(Constraint::exact(Value::text("1..5").unwrap())));
    assert_eq!(settled("ab*", Kind::Text), Ok(Constraint::Prefix(Text::new("ab").unwrap())));
    assert_eq!(settled("'ab*'", Kind::Text), Ok(Constraint::exact(Value::text("ab*").unwrap())));
    assert_eq!(settled("*", Kind::Bool), Ok(Constraint::Any));
    assert_eq!(settled("true", Kind::Bool), Ok(Constraint::exact(Value::Bool(true))));
    assert!(settled("5*", Kind::Int).is_err());
    assert!(settled("'1..5'", Kind::Int).is_err());
}

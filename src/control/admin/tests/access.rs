//! What becomes of a signature that changed nothing after all, and what is counted.

use aws_credential_types::Credentials as Key;
use aws_sigv4::http_request::PercentEncodingMode;

use super::*;
use crate::control::admin::signature::tests::signature_fields;
use crate::control::credentials::Held;
use crate::control::setup::Order;
use crate::state::AdminRefusal;
use crate::sys::unix_seconds;

/// A change by the ELB API, signed now.
fn signed(form: &str) -> String {
    let key = Key::new("A", "secret", None, None, "test");
    let made = signature_fields(
        ("POST", "/", "localhost"),
        form.as_bytes(),
        (&key, unix_seconds()),
        PercentEncodingMode::Double,
    );
    let fields: String = made
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

#[tokio::test]
async fn a_change_that_was_not_begun_may_be_sent_again() {
    let credentials = Credentials::default();
    credentials.replace(Held::of(&[("A", "secret", false)]));
    let (bench, ordered) = Bench::deaf_and_guarded_by(credentials).await;
    let delete = |name: &str| {
        signed(&format!(
            "Action=DeleteLoadBalancer&Version=2012-06-01&LoadBalancerName={name}"
        ))
    };
    let changes = [delete("one"), delete("two")];
    let mut one = bench.connect().await;
    let mut two = bench.connect().await;
    for (stream, change) in [(&mut one, &changes[0]), (&mut two, &changes[1])] {
        stream
            .write_all(change.as_bytes())
            .await
            .expect("admin reads");
    }
    // Whoever of both comes first has the one place that there is.
    let (mut of_one, mut of_two) = (String::new(), String::new());
    let is_one = tokio::select! {
        _ = one.read_to_string(&mut of_one) => true,
        _ = two.read_to_string(&mut of_two) => false,
    };
    let (answer, refused) = match is_one {
        true => (of_one, &changes[0]),
        false => (of_two, &changes[1]),
    };
    assert!(
        answer.contains("<Message>Rate exceeded</Message>"),
        "{answer}"
    );
    assert!(matches!(ordered.try_recv(), Ok(Order::Act(_))));
    let mut again = bench.connect().await;
    again
        .write_all(refused.as_bytes())
        .await
        .expect("admin reads");
    let mut order = ordered.try_recv();
    while order.is_err() {
        tokio::task::yield_now().await;
        order = ordered.try_recv();
    }
    let Ok(Order::Act(act)) = order else {
        panic!("an action was to come");
    };
    assert_eq!((act.who.as_str(), act.region.as_str()), ("A", "eu-west-1"));
    // And now it was begun.
    let answer = bench.send(refused.as_bytes()).await;
    assert!(answer.contains("was taken already"), "{answer}");
    let replays = &bench.counts.admin_refused[AdminRefusal::Replay as usize];
    assert_eq!(replays.value(), 1);
}

//! The ELB API: what reaches whoever carries actions out, and what does not.

use std::sync::mpsc::Receiver;
use std::thread;

use super::*;
use crate::control::act::Act;
use crate::elb::{Action, Code, Failure};

/// The request as the AWS CLI sends it.
fn by_post(form: &str, signature: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
         {signature}Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// Refuses the first action; gives what was asked.
fn refuse_one(orders: Receiver<Order>) -> thread::JoinHandle<(String, Action)> {
    thread::spawn(move || {
        let Ok(Order::Act(act)) = orders.recv() else {
            panic!("an action was to come");
        };
        let Act {
            region,
            action,
            answer,
            ..
        } = act;
        let failure = Failure::new(
            Code::LoadBalancerNotFound,
            "There is no ACTIVE Load Balancer",
        );
        answer.send(Err(failure)).expect("the handler waits");
        (region, action)
    })
}

#[tokio::test]
async fn an_action_is_asked_for_in_the_region_of_its_signature() {
    let form = "Action=DescribeLoadBalancers&Version=2012-06-01&LoadBalancerNames.member.1=web";
    let signature = "Authorization: AWS4-HMAC-SHA256 Credential=A/20261128/eu-west-1/\
                     elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=00\r\n";
    for (signature, region) in [("", "us-east-1"), (signature, "eu-west-1")] {
        let (bench, orders) = Bench::deaf().await;
        let asked = refuse_one(orders);
        let answer = bench.send(by_post(form, signature).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("content-type: text/xml"), "{answer}");
        assert!(
            answer.contains("<Code>LoadBalancerNotFound</Code>"),
            "{answer}"
        );
        let (asked_in, action) = asked.join().expect("it was asked");
        assert_eq!(asked_in, region);
        assert_eq!(action.name(), "DescribeLoadBalancers");
    }
}

#[tokio::test]
async fn what_is_no_action_is_refused_without_asking_anybody() {
    let (bench, orders) = Bench::deaf().await;
    let cases = [
        (
            by_post("Action=Nope&Version=2012-06-01", ""),
            "<Code>InvalidAction</Code>",
        ),
        (by_post("", ""), "<Code>MissingAction</Code>"),
        (
            "GET /?Action=Nope&Version=2012-06-01 HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\n\r\n"
                .to_owned(),
            "<Code>InvalidAction</Code>",
        ),
    ];
    for (request, code) in cases {
        let answer = bench.send(request.as_bytes()).await;
        assert!(answer.contains(code), "{request}\n{answer}");
    }
    assert!(orders.try_recv().is_err());
    assert!(bench.ask("GET /").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn too_many_actions_at_once_are_throttled() {
    let (bench, _orders) = Bench::deaf().await;
    let form = by_post("Action=DescribeLoadBalancers&Version=2012-06-01", "");
    let mut waiting = bench.connect().await;
    waiting
        .write_all(form.as_bytes())
        .await
        .expect("admin reads");
    // It waits in the only place that there is, or this one does; one of both is refused.
    let mut second = bench.connect().await;
    second
        .write_all(form.as_bytes())
        .await
        .expect("admin reads");
    let (mut one, mut other) = ([0; 512], [0; 512]);
    let (length, answer) = tokio::select! {
        length = waiting.read(&mut one) => (length, &one),
        length = second.read(&mut other) => (length, &other),
    };
    let answer = String::from_utf8_lossy(&answer[..length.expect("admin answers")]);
    assert!(answer.contains("<Code>Throttling</Code>"), "{answer}");
}

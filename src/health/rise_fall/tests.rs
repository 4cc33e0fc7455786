use proptest::prelude::*;

use super::*;

const FAIL: Outcome = Outcome::Failure(Failure::Refused);
const PASS: Outcome = Outcome::Success;
const REGISTERING: Status = Status::OutOfService(Reason::Registering);
const FAILED: Status = Status::OutOfService(Reason::Failed);
const RECOVERING: Status = Status::OutOfService(Reason::Recovering);

fn machine(healthy: u32, unhealthy: u32) -> RiseFall {
    RiseFall::new(Thresholds { healthy, unhealthy })
}

/// The status after each of `outcomes`.
fn story(machine: &mut RiseFall, outcomes: &[Outcome]) -> Vec<Status> {
    outcomes
        .iter()
        .map(|&outcome| {
            machine.handle(outcome);
            machine.status()
        })
        .collect()
}

#[test]
fn a_new_backend_is_in_service_after_its_first_success() {
    let mut backend = machine(10, 2);
    assert_eq!(backend.status(), REGISTERING);
    let transition = backend.handle(PASS);
    assert_eq!(
        transition,
        Some(Transition {
            from: REGISTERING,
            to: Status::InService,
            cause: PASS
        })
    );
}

#[test]
fn a_backend_known_to_be_in_service_is_condemned_and_comes_back_like_any_other() {
    let thresholds = Thresholds {
        healthy: 2,
        unhealthy: 1,
    };
    let mut backend = RiseFall::in_service(thresholds);
    let seen = story(&mut backend, &[PASS, FAIL, PASS, PASS]);
    assert_eq!(
        seen,
        [Status::InService, FAILED, RECOVERING, Status::InService]
    );
}

#[test]
fn a_backend_that_starts_late_is_still_new() {
    let mut backend = machine(10, 2);
    let seen = story(&mut backend, &[FAIL, FAIL, FAIL, PASS]);
    assert_eq!(seen, [REGISTERING, FAILED, FAILED, Status::InService]);
}

#[test]
fn only_failures_in_a_row_put_a_backend_out() {
    let mut backend = machine(2, 3);
    let seen = story(&mut backend, &[PASS, FAIL, FAIL, PASS, FAIL, FAIL]);
    assert!(
        seen.iter().all(|&status| status == Status::InService),
        "{seen:?}"
    );
    assert_eq!(
        backend.handle(FAIL),
        Some(Transition {
            from: Status::InService,
            to: FAILED,
            cause: FAIL
        })
    );
    assert_eq!(backend.handle(FAIL), None);
}

#[test]
fn recovery_takes_the_healthy_threshold_in_a_row() {
    let mut backend = machine(3, 2);
    story(&mut backend, &[PASS, FAIL, FAIL]);
    let seen = story(&mut backend, &[PASS, PASS, FAIL, PASS, PASS, PASS]);
    let expected = [RECOVERING; 5]
        .into_iter()
        .chain([Status::InService])
        .collect::<Vec<_>>();
    assert_eq!(seen, expected);
}

#[test]
fn a_recovery_that_fails_again_is_a_failure_again() {
    let mut backend = machine(3, 2);
    story(&mut backend, &[PASS, FAIL, FAIL, PASS]);
    assert_eq!(story(&mut backend, &[FAIL, FAIL]), [RECOVERING, FAILED]);
}

#[test]
fn thresholds_of_one_flip_at_once() {
    let mut backend = machine(1, 1);
    let seen = story(&mut backend, &[PASS, FAIL, PASS, FAIL]);
    assert_eq!(seen, [Status::InService, FAILED, Status::InService, FAILED]);
}

#[test]
fn texts_are_those_of_clb() {
    let texts = |status: Status| (status.name(), status.reason_code(), status.description());
    assert_eq!(texts(Status::InService), ("InService", "N/A", "N/A"));
    assert_eq!(
        texts(REGISTERING),
        (
            "OutOfService",
            "ELB",
            "Instance registration is still in progress."
        )
    );
    assert_eq!(
        texts(FAILED),
        (
            "OutOfService",
            "Instance",
            "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
        )
    );
    assert_eq!(
        texts(RECOVERING),
        (
            "OutOfService",
            "Instance",
            "Instance has not passed the configured HealthyThreshold number of health checks consecutively."
        )
    );
}

proptest! {
    /// The machine agrees with a reading of the whole history, for every history.
    #[test]
    fn status_follows_from_the_results_in_a_row(
        healthy in 1..5_u32,
        unhealthy in 1..5_u32,
        passes in prop::collection::vec(any::<bool>(), 0..60),
    ) {
        let mut backend = machine(healthy, unhealthy);
        let (mut in_service, mut lives) = (false, 0);
        for end in 1..=passes.len() {
            let latest = passes[end - 1];
            let run = passes[..end].iter().rev().take_while(|&&pass| pass == latest).count();
            let needed = if lives == 0 { 1 } else { healthy as usize };
            if latest && !in_service && run >= needed {
                in_service = true;
                lives += 1;
            } else if !latest && run >= unhealthy as usize {
                in_service = false;
            }
            let before = backend.status();
            let transition = backend.handle(if latest { PASS } else { FAIL });
            prop_assert_eq!(backend.status() == Status::InService, in_service);
            prop_assert_eq!(transition.is_some(), backend.status() != before);
        }
    }
}

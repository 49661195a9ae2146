//! Clients and a server over a network that loses, doubles and reorders, in virtual time: the
//! same seed is the same run, and hours pass in seconds.

mod world;

use std::time::Duration;

use protocol::CallError;
use protocol::Kind;
use world::{Network, World};

/// 30 % lost, 30 % doubled, up to 30 ms under way and now and then far longer.
const BAD: Network = Network { lost: 0.3, doubled: 0.3, delay_ms: 30, straggles: 0.02 };
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn through_a_bad_network_thousands_of_changes_happen_once_each_and_every_call_ends() {
    for seed in 0..4 {
        let mut world = World::new(seed, BAD, "192.0.2.1:31000");
        for client in 0..8 {
            for _ in 0..250 {
                world.plan(client, Kind::Change, 100, PATIENCE);
            }
        }
        world.run();
        assert_eq!(world.ended.len(), 2000);
        world.assert_all_answered_and_executed_once();
        // 0.49 of the exchanges get through, so a call takes a few resends, not seconds.
        assert!(world.median_call() < Duration::from_millis(300), "{:?}", world.median_call());
        assert!(world.slowest_call() < Duration::from_secs(15), "{:?}", world.slowest_call());
    }
}

#[test]
fn slow_work_is_waited_for_beyond_the_patience() {
    let mut world = World::new(11, BAD, "192.0.2.1:31000");
    world.work_ms = 30_000;
    for client in 0..20 {
        world.plan(client, Kind::Change, 100, Duration::from_secs(5));
    }
    world.run();
    world.assert_all_answered_and_executed_once();
    assert!(world.slowest_call() > Duration::from_secs(20));
}

#[test]
fn large_requests_arrive_whole_in_parts_through_a_bad_network() {
    for (seed, remote, sizes) in [
        (21, "192.0.2.1:31000", [1200, 1201, 50_000, 400_000]),
        (22, "127.0.0.1:31000", [60_000, 60_001, 1 << 20, 8 << 20]),
    ] {
        let mut world = World::new(seed, BAD, remote);
        for (client, size) in sizes.into_iter().enumerate() {
            world.plan(client, Kind::Change, size, PATIENCE);
        }
        world.run();
        world.assert_all_answered_and_executed_once();
    }
}

#[test]
fn large_requests_cross_a_very_long_way() {
    // A round trip of 0.6 to 1.2 s: longer than any resend interval.
    let far = Network { lost: 0.0, doubled: 0.0, delay_ms: 300, straggles: 0.0 };
    let mut world = World::new(31, far, "192.0.2.1:31000");
    world.least_delay = Duration::from_millis(300);
    world.plan(0, Kind::Change, 500_000, PATIENCE);
    world.plan(1, Kind::Change, 10, PATIENCE);
    world.run();
    world.assert_all_answered_and_executed_once();
}

#[test]
fn a_server_that_restarts_in_the_middle_loses_no_call_and_doubles_none() {
    for seed in 40..44 {
        let mut world = World::new(seed, BAD, "192.0.2.1:31000");
        for client in 0..8 {
            for n in 0..100 {
                world.plan(client, Kind::Change, if n % 10 == 0 { 20_000 } else { 50 }, PATIENCE);
            }
        }
        for second in 1..10 {
            world.restart_at(Duration::from_secs(second));
        }
        world.run();
        assert_eq!(world.restarts, 9);
        world.assert_all_answered_and_executed_once();
    }
}

#[test]
fn a_dead_network_ends_each_call_at_its_patience() {
    let dead = Network { lost: 1.0, ..BAD };
    let mut world = World::new(50, dead, "192.0.2.1:31000");
    for client in 0..10 {
        world.plan(client, Kind::Change, 5000, PATIENCE);
    }
    world.run();
    assert_eq!(world.ended.len(), 10);
    for ended in &world.ended {
        assert!(matches!(ended.result, Err(CallError::Silent)));
        assert_eq!(ended.took, PATIENCE);
    }
    assert!(world.executed.is_empty());
}

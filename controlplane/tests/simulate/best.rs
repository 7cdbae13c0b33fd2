//! The best plan as a contender.

use controlplane::{
    policy::Policy,
    simulate::{CallKind, Clairvoyant, Physics, Scene, Score, Terms, Weir, prices::Prices},
};

use crate::worlds::demand;

#[test]
fn the_best_plan_throttles_next_to_nothing_and_needs_fewer_shards_than_anybody_without_foresight() {
    let scene = Scene::new(demand(&[(1.5, 90), (6.0, 60), (2.5, 90), (9.5, 30), (1.0, 120)]));
    let policy = Policy::default();
    let mut plan = Clairvoyant::plan(&scene, &policy, 1);
    let planned = plan.shard_hours();
    let timeline = scene.run(&mut plan, 1);
    let physics = Physics::default();
    let terms = Terms { lag_objective_s: 30.0, prices: Prices::default(), physics };
    let best = Score::of(&timeline, &terms);
    assert!(best.throttled_pct < 0.01, "{best:?}");
    assert!((best.shard_hours / planned - 1.0).abs() < 0.02, "{} of {planned}", best.shard_hours);
    assert!(best.lag_p99_s < 30.0 && best.lost_pct == 0.0, "{best:?}");
    let weir = Score::of(&scene.run(&mut Weir::new(policy), 1), &terms);
    assert!(weir.shard_hours > best.shard_hours, "{} and {}", weir.shard_hours, best.shard_hours);
    let calls = timeline.minutes.iter().flat_map(|minute| &minute.actions);
    assert!(calls.filter(|call| call.call == CallKind::UpdateShardCount).count() <= 10);
}

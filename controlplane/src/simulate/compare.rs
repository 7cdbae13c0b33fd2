//! Several contenders in one scene, over several seeds, on all cores.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde::Serialize;

use super::{
    Clairvoyant, Contender, Scene, Timeline,
    score::{Score, Spread, Summary, Terms},
};

/// Makes a fresh contender for every run.
pub type Maker<'a> = Box<dyn Fn() -> Box<dyn Contender> + Sync + 'a>;

/// One contender's results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    pub name: String,
    /// Medians over the seeds.
    #[serde(flatten)]
    pub score: Score,
    /// Shard-hours of the best that anybody could have done who knew the load beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimum_shard_hours: Option<f64>,
    /// The same for hours of consumer tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimum_task_hours: Option<f64>,
    /// Where seeds differ, the lowest and the highest.
    pub spread: BTreeMap<&'static str, Spread>,
    /// The seed of [`Self::run`]: the run that is nearest to the medians.
    pub timeline_seed: u64,
    /// The score of each seed, in order.
    pub seeds: Vec<Score>,
    /// Minutes, and what else its price depends on.
    #[serde(flatten)]
    pub run: Timeline,
}

/// Contenders, seeds and terms of one comparison.
pub struct Comparison<'a> {
    pub scene: &'a Scene,
    pub terms: &'a Terms,
    pub contenders: Vec<Maker<'a>>,
    /// How many seeds, from 1 on.
    pub seeds: u64,
    /// Most threads at once.
    pub threads: usize,
    /// The best plan, to compare with.
    pub optimum: Option<&'a Clairvoyant>,
}

impl Comparison<'_> {
    /// Runs everything. `done` hears of each run that ended; the answer `false` ends the comparison with nothing.
    pub fn run(&self, done: &(dyn Fn(usize) -> bool + Sync)) -> Option<Vec<Outcome>> {
        let scores = self.scores(0..u32::MAX, done)?;
        let summaries: Vec<_> = scores.iter().map(|scores| (Summary::of(scores), scores)).collect();
        // The timeline of one seed is run again rather than all of them kept.
        let typical: Vec<_> =
            summaries.iter().enumerate().map(|(index, (summary, _))| (index, summary.typical as u64 + 1)).collect();
        let outcomes = self.each(&typical, &|_| true, |index, seed| {
            let mut contender = self.contenders[index]();
            let timeline = self.scene.run(contender.as_mut(), seed);
            (contender.name().to_owned(), timeline)
        })?;
        let outcome = |(((name, timeline), (summary, scores)), (_, seed))| {
            let (Summary { median, spread, .. }, scores): (Summary, &Vec<Score>) = (summary, scores);
            Outcome {
                name,
                score: median,
                optimum_shard_hours: self.optimum.map(Clairvoyant::shard_hours),
                optimum_task_hours: self.optimum.map(Clairvoyant::task_hours),
                spread,
                timeline_seed: seed,
                seeds: scores.clone(),
                run: timeline,
            }
        };
        Some(outcomes.into_iter().zip(summaries).zip(typical).map(outcome).collect())
    }

    /// The score of each contender with each seed, made of a part of the minutes only.
    pub(super) fn scores(&self, part: Range<u32>, done: &(dyn Fn(usize) -> bool + Sync)) -> Option<Vec<Vec<Score>>> {
        let seeds = self.seeds.max(1);
        let jobs: Vec<(usize, u64)> =
            (0..self.contenders.len()).flat_map(|index| (1..=seeds).map(move |seed| (index, seed))).collect();
        let scores = self.each(&jobs, done, |index, seed| {
            let mut timeline = self.scene.run(self.contenders[index]().as_mut(), seed);
            timeline.minutes.retain(|minute| part.contains(&minute.minute));
            Score::of(&timeline, self.terms)
        })?;
        Some(scores.chunks(seeds as usize).map(<[Score]>::to_vec).collect())
    }

    /// Does all jobs, in any order; the answers are in the jobs' order.
    fn each<T: Send>(
        &self,
        jobs: &[(usize, u64)],
        done: &(dyn Fn(usize) -> bool + Sync),
        job: impl Fn(usize, u64) -> T + Sync,
    ) -> Option<Vec<T>> {
        let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let answers = Mutex::new(Vec::with_capacity(jobs.len()));
        let work = || {
            while let Some((index, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let position = index * jobs.len() + *seed as usize;
                let answer = job(*index, *seed);
                answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((position, answer));
                if !done(finished.fetch_add(1, Ordering::Relaxed) + 1) {
                    next.store(jobs.len(), Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.threads.min(jobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        answers.sort_by_key(|(position, _)| *position);
        (answers.len() == jobs.len()).then(|| answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

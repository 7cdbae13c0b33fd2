//! `decide` against worlds written down in `scenarios/`: each file's name is what its report shows.

mod demo;
mod hostile;
mod properties;
mod ranges;
mod scenario;

use std::path::Path;

use scenario::Scenario;

#[test]
fn every_scenario_is_decided_as_its_golden_report_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decide/scenarios");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 40, "only {} scenarios were found", names.len());
    for name in names {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
        let settings = || {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("scenarios");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings
        };
        settings().bind(|| insta::assert_snapshot!(name.as_str(), Scenario::read(&text).run()));
    }
}

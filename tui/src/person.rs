//! Who is at the keyboard.

use std::process::Command;

/// `user@host`, for people; a part that nobody knows is `?`.
pub(crate) fn who() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty()).or_else(user_by_id);
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    let known = |word: Option<String>| word.unwrap_or_else(|| "?".to_owned());
    format!("{}@{}", known(user), known(host))
}

/// The user's name as the system knows it: services and containers often have no `USER`.
fn user_by_id() -> Option<String> {
    let answer = Command::new("id").arg("-un").output().ok().filter(|answer| answer.status.success())?;
    Some(String::from_utf8(answer.stdout).ok()?.trim().to_owned())
}

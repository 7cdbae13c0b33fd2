//! Changing a stream's retention, record size, encryption and mode.

use serde::Deserialize;

use super::lifecycle::ModeDetails;
use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::stream::{Mode, Stream},
        fault,
    },
    service::{AwsError, Call, Reply},
};

/// Retention in hours (`IncreaseStreamRetentionPeriod`, `DecreaseStreamRetentionPeriod`).
const RETENTION_HOURS_MIN: u32 = 24;
const RETENTION_HOURS_MAX: u32 = 8_760;

/// Record size in KiB (`UpdateMaxRecordSize`).
const RECORD_KIB_MIN: u32 = 1_024;
const RECORD_KIB_MAX: u32 = 10_240;

/// Puts a change of an active stream in force, and keeps the stream `UPDATING` for a while.
fn update(
    account: &Account,
    stream: &StreamRef,
    change: impl FnOnce(&mut Stream) -> Result<(), AwsError>,
) -> Result<Reply, AwsError> {
    let now = account.now();
    account.find(stream)?.change(now, |stream| {
        stream.require_active()?;
        change(stream)?;
        stream.update(&account.settings, now);
        Ok(())
    })?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RetentionInput {
    #[serde(flatten)]
    stream: StreamRef,
    retention_period_hours: u32,
}

pub(super) fn increase_retention(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: RetentionInput = call.input()?;
    update(account, &input.stream, |stream| {
        let (hours, current) = (input.retention_period_hours, stream.retention_hours);
        if hours < current {
            return Err(fault::invalid(format!(
                "Requested retention period ({hours} hours) for stream {} can not be shorter than existing retention \
                 period ({current} hours). Use DecreaseRetentionPeriod API.",
                stream.name
            )));
        }
        set_retention(stream, hours)
    })
}

pub(super) fn decrease_retention(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: RetentionInput = call.input()?;
    update(account, &input.stream, |stream| {
        let (hours, current) = (input.retention_period_hours, stream.retention_hours);
        if hours > current {
            return Err(fault::invalid(format!(
                "Requested retention period ({hours} hours) for stream {} can not be longer than existing retention \
                 period ({current} hours). Use IncreaseRetentionPeriod API.",
                stream.name
            )));
        }
        set_retention(stream, hours)
    })
}

fn set_retention(stream: &mut Stream, hours: u32) -> Result<(), AwsError> {
    if !(RETENTION_HOURS_MIN..=RETENTION_HOURS_MAX).contains(&hours) {
        return Err(fault::invalid(format!(
            "Requested retention period ({hours} hours) is not between {RETENTION_HOURS_MIN} and \
             {RETENTION_HOURS_MAX} hours."
        )));
    }
    stream.retention_hours = hours;
    Ok(())
}

#[derive(Deserialize)]
struct RecordSizeInput {
    #[serde(flatten)]
    stream: StreamRef,
    #[serde(rename = "MaxRecordSizeInKiB")]
    kib: u32,
}

pub(super) fn max_record_size(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: RecordSizeInput = call.input()?;
    check_record_size(input.kib)?;
    update(account, &input.stream, |stream| {
        stream.record_kib_max = input.kib;
        Ok(())
    })
}

pub(super) fn check_record_size(kib: u32) -> Result<(), AwsError> {
    if !(RECORD_KIB_MIN..=RECORD_KIB_MAX).contains(&kib) {
        let rule = format!("have value between {RECORD_KIB_MIN} and {RECORD_KIB_MAX}");
        return Err(fault::constraint("maxRecordSizeInKiB", kib, &rule));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptionInput {
    #[serde(flatten)]
    stream: StreamRef,
    encryption_type: String,
    key_id: String,
}

impl EncryptionInput {
    fn check(&self) -> Result<(), AwsError> {
        if self.encryption_type == "KMS" {
            return Ok(());
        }
        Err(fault::constraint("encryptionType", &self.encryption_type, "satisfy enum value set: [KMS]"))
    }
}

pub(super) fn start_encryption(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: EncryptionInput = call.input()?;
    input.check()?;
    update(account, &input.stream, |stream| {
        stream.key_id = Some(input.key_id);
        Ok(())
    })
}

pub(super) fn stop_encryption(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: EncryptionInput = call.input()?;
    input.check()?;
    update(account, &input.stream, |stream| {
        stream.key_id = None;
        Ok(())
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModeInput {
    #[serde(flatten)]
    stream: StreamRef,
    stream_mode_details: ModeDetails,
}

pub(super) fn mode(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: ModeInput = call.input()?;
    let (mode, now): (Mode, _) = (input.stream_mode_details.stream_mode, account.now());
    account.find(&input.stream)?.change(now, |stream| stream.update_mode(mode, &account.settings, now))?;
    Ok(Reply::empty())
}

//! `GET /report` of a task.

use dataplane::report::{Report, VERSION};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{StatusCode, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::services::Address;
use crate::{
    chain::chain,
    limits::{REPORT_BYTES, REPORT_TIMEOUT},
};

/// Reads reports.
pub(super) struct Reports {
    client: Client<HttpConnector, Empty<Bytes>>,
    /// The admin port of every task.
    pub(super) port: u16,
}

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("no report within {REPORT_TIMEOUT:?}")]
    Timeout,
    #[error("no connection: {0}")]
    Connection(String),
    #[error("answers {0}")]
    Status(StatusCode),
    #[error("the report is cut off or longer than {REPORT_BYTES} bytes")]
    Body,
    #[error("the report is not readable: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the report has version {0}, this program reads {VERSION}")]
    Version(u32),
}

impl Reports {
    pub(super) fn new(port: u16) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(REPORT_TIMEOUT));
        Self { client: Client::builder(TokioExecutor::new()).build(connector), port }
    }

    pub(super) async fn read(&self, address: &Address) -> Result<Report, ReportError> {
        tokio::time::timeout(REPORT_TIMEOUT, self.fetch(address)).await.unwrap_or(Err(ReportError::Timeout))
    }

    async fn fetch(&self, Address { host, port }: &Address) -> Result<Report, ReportError> {
        let broken = |error: String| ReportError::Connection(error);
        let uri =
            format!("http://{host}:{port}/report").parse().map_err(|_| broken(format!("{host} is no address")))?;
        let answer = self.client.get(uri).await.map_err(|error| broken(chain(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(ReportError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), REPORT_BYTES).collect().await.map_err(|_| ReportError::Body)?;
        let report: Report = serde_json::from_slice(&body.to_bytes())?;
        if report.version == VERSION { Ok(report) } else { Err(ReportError::Version(report.version)) }
    }
}

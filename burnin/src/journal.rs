//! The report on disk, complete at every moment: before the first check it holds every planned check as `not_run`, and
//! after each result it is written anew, so that a crash loses one check and what never ran is seen.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use report::judge::{ReasonCode, judge};
use report::{CheckResult, Counter, Outcome, Planned, Report};

/// The name of the report in its folder.
pub const REPORT_FILE: &str = "report.json";

/// Why the journal could not be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder cannot be made.
    #[error("making the folder `{path}`")]
    Folder {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is a report already.
    #[error("`{path}` exists: choose another folder with `--out`, reports are not overwritten")]
    Exists {
        /// Its path.
        path: PathBuf,
    },
    /// The report cannot be written.
    #[error("writing `{path}`")]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A report that is being written.
#[derive(Debug)]
pub struct Journal {
    report: Report,
    /// Absent for a report that is not kept.
    path: Option<PathBuf>,
}

impl Journal {
    /// Begins the report in a folder: results are `not_run` for all that is planned.
    pub fn begin(folder: &Path, mut report: Report) -> Result<Self, JournalError> {
        fs::create_dir_all(folder)
            .map_err(|source| JournalError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join(REPORT_FILE);
        // Taken in one step: of two runs that choose one folder at one moment, one is refused.
        File::create_new(&path).map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => JournalError::Exists { path: path.clone() },
            _ => JournalError::Write { path: path.clone(), source },
        })?;
        report.results = report.planned.iter().map(not_run).collect();
        let mut journal = Self { report, path: Some(path) };
        journal.flush()?;
        Ok(journal)
    }

    /// Begins a report that is not kept.
    pub fn in_memory(mut report: Report) -> Self {
        report.results = report.planned.iter().map(not_run).collect();
        Self { report, path: None }
    }

    /// The report so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Where it lies, if it is kept.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Puts a result in its place and flushes; a result that nobody planned is dropped.
    pub fn record(&mut self, result: CheckResult) -> Result<(), JournalError> {
        let place =
            self.report.results.iter_mut().find(|r| r.check == result.check && r.subject == result.subject);
        match place {
            Some(place) => *place = result,
            None => {
                tracing::warn!(check = %result.check, subject = %result.subject, "a result that was not planned")
            }
        }
        self.flush()
    }

    /// Keeps what counters showed before the first check and after the last.
    pub fn count(&mut self, counters: Vec<Counter>) {
        self.report.counters = counters;
    }

    /// Ends the report: complete only if it was not interrupted.
    pub fn close(mut self, completed_at: Option<jiff::Timestamp>) -> Result<Report, JournalError> {
        self.report.completed_at = completed_at;
        self.flush()?;
        Ok(self.report)
    }

    /// Judges what is there and writes it: new file, fsync, rename, fsync of the folder.
    fn flush(&mut self) -> Result<(), JournalError> {
        self.report.verdict = judge(&self.report);
        let Some(path) = &self.path else { return Ok(()) };
        let write = || -> std::io::Result<()> {
            let temporary = path.with_extension("json.new");
            let mut file = File::create(&temporary)?;
            let mut json = serde_json::to_vec_pretty(&self.report)?;
            json.push(b'\n');
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|source| JournalError::Write { path: path.clone(), source })
    }
}

fn not_run(planned: &Planned) -> CheckResult {
    let reason = ReasonCode::NotRun.because("planned, and not run yet");
    CheckResult::without_evidence(
        planned.check.clone(),
        planned.subject.clone(),
        Outcome::NotRun,
        Some(reason),
    )
}

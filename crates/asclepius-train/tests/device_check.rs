//! The way a device without kernels of its own goes, taken on the CPU: every operation and the whole loop through the
//! references, in f32, bf16 and f16, beside the kernels.

use asclepius_train::device_check::check;
use candle_core::Device;

#[test]
fn references_and_kernels_agree_over_random_shapes_and_ten_steps() {
    let report = check(&Device::Cpu, 1, 3).expect("the CPU's side runs");
    assert!(report.operations.len() >= 44 && report.training.len() == 10);
    for finding in &report.operations {
        assert!(finding.holds(), "{finding:?}");
    }
    for finding in &report.training {
        assert!(finding.holds(), "{finding:?}");
        assert_eq!(finding.losses.len(), 10);
    }
    assert_eq!(report.missed(), 0);
}

#[test]
fn a_finding_that_is_not_a_number_misses_its_bound() {
    let mut report = check(&Device::Cpu, 2, 1).expect("the CPU's side runs");
    report.operations[0].gradient = f64::NAN;
    report.training[0].apart = f64::NAN;
    report.training[1].losses.pop();
    assert_eq!(report.missed(), 3);
}

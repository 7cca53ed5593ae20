"""Files: de-identification of DICOM files in batches, with manifest, refusals and withdrawal."""

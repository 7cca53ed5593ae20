"""De-identification of DICOM by the profile of PS3.15."""

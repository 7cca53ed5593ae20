"""De-identification of DICOM objects and files by the profile of PS3.15 Annex E."""

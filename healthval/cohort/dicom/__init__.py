"""DICOM images of the cases: from a folder, by DICOMweb or by DIMSE."""

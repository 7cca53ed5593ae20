"""DICOM images of the cases: read from a folder, retrieved by DICOMweb or by DIMSE."""

from healthval.cohort.dicom.dimse import DimsePacs
from healthval.cohort.dicom.folder import Folder, Instance, Study, read_folder
from healthval.cohort.dicom.web import WebPacs

__all__ = ["DimsePacs", "Folder", "Instance", "Study", "WebPacs", "read_folder"]

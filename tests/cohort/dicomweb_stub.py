"""A DICOMweb server with one study of two files, whose answers a test changes."""

import io
import json
from http.server import BaseHTTPRequestHandler

import pydicom
from pydicom.data import get_testdata_file

STUDY = "2.25.4711"


def instance(number, name="CT_small.dcm"):
    dataset = pydicom.dcmread(get_testdata_file(name))
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = STUDY, f"2.25.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def message(*parts, end=b"\r\n--B--\r\n"):
    head = b"\r\n--B\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part for part in parts) + end


TWO = (instance(1), instance(2, "JPEG2000.dcm"))


def answered(study=STUDY, count=2, **more):
    values = {"0020000D": study, "00201208": count, **more}
    return {tag: {"vr": "UN", "Value": [value]} for tag, value in values.items()}


class Server(BaseHTTPRequestHandler):
    body, kind, announced, n_retrieved = b"", 'multipart/related; boundary="B"', 2, 0
    answers, status, headers_sent = None, 200, {}

    def do_GET(self):
        if "/studies?" in self.path:
            answers = type(self).answers or [answered(count=type(self).announced)]
            found = json.dumps(answers if "offset=0" in self.path else []).encode()
            self.answer("application/dicom+json", found)
        else:
            type(self).n_retrieved += 1
            self.answer(type(self).kind, type(self).body, type(self).status)

    def answer(self, kind, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in type(self).headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

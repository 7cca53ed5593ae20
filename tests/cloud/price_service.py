"""Stand-in for the Price List query API: the wire protocol of GetProducts on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = 2


def offer(service, usage, tiers, *, unit, currency="USD", **attributes):
    """One entry of a PriceList; `tiers` are pairs of first unit and price."""
    sku = f"{service}{usage}{len(tiers)}"
    dimensions = {
        f"{sku}.{n}": {
            "unit": unit,
            "beginRange": begin,
            "endRange": "Inf",
            "pricePerUnit": {currency: price},
            "appliesTo": [],
        }
        for n, (begin, price) in enumerate(tiers)
    }
    family = attributes.pop("productFamily", "")
    return {
        "serviceCode": service,
        "product": {
            "sku": sku,
            "productFamily": family,
            "attributes": {"regionCode": "us-east-1"} | attributes | {"usagetype": usage},
        },
        "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": {"priceDimensions": dimensions}}},
    }


class PriceService(ThreadingHTTPServer):
    """Answers queries for `offers`; `throttled` is the number of calls refused first."""

    daemon_threads = True

    def __init__(self, offers, throttled=0):
        self.offers, self.throttled, self.calls = offers, throttled, 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize = "HTTP/1.1", -1

            def do_POST(self):
                assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
                assert "/us-east-1/pricing/aws4_request" in self.headers["Authorization"]
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = service.answer(asked)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Keep the tests quiet."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, asked):
        self.calls += 1
        if self.throttled:
            self.throttled -= 1
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        found = [one for one in self.offers if _is_match(one, asked)]
        first = int(asked.get("NextToken", 0))
        page = [
            one if isinstance(one, str) else json.dumps(one) for one in found[first : first + PAGE]
        ]
        body = {"FormatVersion": "aws_v1", "PriceList": page}
        if first + PAGE < len(found):
            body["NextToken"] = str(first + PAGE)
        return 200, body


def _is_match(one, asked):
    if isinstance(one, str):
        return True
    attributes = one["product"]["attributes"] | {"productFamily": one["product"]["productFamily"]}
    assert all(wanted["Type"] == "TERM_MATCH" for wanted in asked["Filters"])
    return one["serviceCode"] == asked["ServiceCode"] and all(
        attributes.get(wanted["Field"]) == wanted["Value"] for wanted in asked["Filters"]
    )

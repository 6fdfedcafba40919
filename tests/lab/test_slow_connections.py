"""Two thousand slow connections to /metrics: whoever asks meanwhile has its answer at once, and logging goes on."""

import resource
import socket
import threading
import time

from bulk import from_environment
from case import LabCase, main
from netlab import INNER4, SERVER4, run
from newcomer import socket_in

CROWD = from_environment("NATSESSION_SLOW_CONNECTIONS", 2000)
PORT = 9469
SCRAPER4, ONE_OF_THE_CROWD4 = "10.64.0.200", "10.64.0.100"
CROWD_ADDRESSES = [f"10.64.0.{number}" for number in range(100, 120)]
REFUSED_AT_MOST = 20
PROMPT_SECONDS = 2  # it takes hundredths of one
BEGUN = b"GET /metr"
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: lab\r\n\r\n"


class SlowConnectionsTest(LabCase):
    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * CROWD + 1000, hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.make_hosts("masquerade")
        for address in (SCRAPER4, *CROWD_ADDRESSES):
            run("ip", "-n", self.lab.client, "addr", "add", f"{address}/24", "dev", "eth0")
        self.daemon = self.start(self.lab, "--metrics", f"{INNER4}:{PORT}")
        self.crowd = []
        self.addCleanup(self.disperse)

    def disperse(self):
        for connection in self.crowd:
            connection.close()

    def connection(self, address):
        made = socket_in(self.lab.client, socket.AF_INET, socket.SOCK_STREAM)
        made.settimeout(1)
        made.bind((address, 0))
        try:
            made.connect((INNER4, PORT))
        except OSError:
            made.close()
            raise
        return made

    def gather(self, addresses, said=b""):
        """A connection after the other that says so much. What the server does not keep is no failure; where it takes none
        any more, the crowd is as large as it gets."""
        refused = 0
        for number in range(CROWD):
            try:
                made = self.connection(addresses[number % len(addresses)])
            except OSError:
                refused += 1
                if refused > REFUSED_AT_MOST:
                    break
                continue
            self.crowd.append(made)
            try:
                made.sendall(said)
            except OSError:
                pass
        self.assertGreater(len(self.crowd), CROWD // 10, "there is no crowd")

    def scrape(self):
        """(the whole answer, how long it took)"""
        began = time.monotonic()
        with self.connection(SCRAPER4) as connection:
            connection.settimeout(20)
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b""
            while part := connection.recv(1 << 16):
                answer += part
        return answer, time.monotonic() - began

    def assert_prompt(self):
        for _ in range(5):
            answer, seconds = self.scrape()
            self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer[:100])
            self.assertIn(b"natsession_", answer)
            self.assertLess(seconds, PROMPT_SECONDS)
        self.client.session("udp", SERVER4, 7000, source_port=20000)
        self.lab.delete_flows("-p", "udp")
        self.daemon.wait_for_records(lambda rs: any(r["pri_port"] == 20000 for r in rs), "a session of that time")
        self.daemon.stop()

    def test_that_have_said_half_a_request(self):
        self.gather([ONE_OF_THE_CROWD4], BEGUN)
        self.assert_prompt()

    def test_that_say_nothing(self):
        self.gather([ONE_OF_THE_CROWD4])
        self.assert_prompt()

    def test_that_read_no_answer(self):
        self.gather([ONE_OF_THE_CROWD4], WHOLE)
        self.assert_prompt()

    def test_of_many_addresses_that_say_a_letter_a_second(self):
        self.gather(CROWD_ADDRESSES, BEGUN)
        over = threading.Event()

        def drip():
            while not over.wait(1):
                for connection in self.crowd:
                    try:
                        connection.sendall(b"a")
                    except OSError:
                        pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            self.assert_prompt()
        finally:
            over.set()
            dripping.join()


if __name__ == "__main__":
    main()

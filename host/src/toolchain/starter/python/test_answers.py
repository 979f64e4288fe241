import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from answers import answer


class Answers(unittest.TestCase):
    def test_a_ping_is_answered_without_the_agent(self):
        self.assertEqual(answer("ping"), "pong")
        self.assertIsNone(answer("hello"))


if __name__ == "__main__":
    unittest.main()

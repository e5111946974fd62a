// Calls, queues and how the agent fares, on one page.

import { showAgent } from "./agent.js";
import { showLive } from "./live.js";
import { lookAt, sumsOf, troubleOf, troublesOf } from "./answer.js";
import "./marks.js";
import { NO_BOARD, follow } from "./stream.js";
import { showTiles } from "./tiles.js";
import { showClock, showTitle, showVerdict } from "./top.js";
import { byId, setText } from "./dom.js";
import { visible } from "./words.js";

function known(answer, received, now, remark) {
  const boards = lookAt(answer, received, now);
  const sums = sumsOf(boards);
  const troubles = troublesOf(answer);
  showLive(boards, boards.length ? "" : NO_BOARD);
  showAgent(answer, "");
  showTiles(sums, answer.agent.error ? null : answer.agent, boards.length ? troubleOf(boards[0]) : "no source tells of them");
  showVerdict(troubles, remark);
  showTitle(troubles, sums);
  showClock(answer.now);
  setText(byId("version"), visible(answer.version));
}

function unknown(trouble) {
  const why = trouble.kind === "wait" ? "Asking the agent \u2026" : "Not known.";
  showLive([], why);
  showAgent(null, why);
  showTiles(null, null, "not known");
  showVerdict([trouble], "");
  showTitle([trouble], null);
  showClock("");
}

follow({ known, unknown });

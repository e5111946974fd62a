"""What is served over HTTP when agent.ini has a [status]: IPPS, the page, metrics, health; and to whom."""

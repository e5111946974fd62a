"""HTTP as a server, for the page, the receiver and what FreeSWITCH posts: uvicorn, and nobody who can hold it up."""

"""The names under which the session's state holds what belongs to no property.

They stand together, so that no two parts of the app use one name for two things.
"""

GALLERY = "images"  # the training images' gallery, whose clicks go into the basket
EXPOSED = "munkey-exposed"  # the gallery of the most exposed images; its clicks do so too
SUBJECT = "munkey-privacy-subject"  # whose privacy the page shows: a value of the property "of"
SESSION = "munkey-session"  # services.Session
PAGES = "munkey-pages"  # name → the page that Streamlit knows
ADD_OWNER = "munkey-add-owner"  # the sidebar's chooser, emptied on each run
RESULT_PAGE = "munkey-result-page:"  # + list and generation → page
OWN_EARLIER = "munkey-own-earlier"  # picture → (generation, probabilities), the newest two
OWN_PICTURE = "munkey-own-picture"  # (bundle's digest, uint8 (1, H, W[, 3])) of the newest upload
PICTURES_SEEN = "munkey-pictures-seen"  # digest of the bundle whose missing pictures were told of
OWN_CHOSEN = "munkey-own-chosen"  # whether Explain is about that picture while "query" is empty
MAP = "munkey-map"  # the memory map, whose clicks and lassos go into the basket
MAP_CLICKED = "munkey-map-clicked"  # the id of the point clicked last
MAP_FIND = "munkey-map-find"  # the field for a query
EXPLAIN_CHOICE = "munkey-explain-choice"  # Explain's galleries: whose click chooses the image
EXPLAIN_CHANGED = "munkey-explain-changed"
EXPLAIN_FIND = "munkey-explain-find"  # the field for an id
EXPLAIN_FILE = "munkey-explain-file"
OWN_SOURCE = "munkey-own-source"  # the chooser of images to train on
OWN_UPLOAD = "munkey-own-upload"  # (file's id, file's name, Background) of the newest archive
OWN_UPLOADS = "munkey-own-uploads"  # how many archives were taken; a new uploader for each
OWN_OFFER = "munkey-own-offer"  # (source, Background) of what is known about the chosen images
OWN_NAME = "munkey-own-name"  # the field for the new model's name
OWN_NAMED = "munkey-own-named"  # (source, name) that a person gave
LESSON_GUESSES = "munkey-lesson-guesses"  # (lesson's digest, step) → what the person answered
LESSON_REACHED = "munkey-lesson-reached"  # lesson's id → the last step that was seen
LESSON_TURN = "munkey-lesson-turn"  # whether the next run takes its screen from the lesson
LESSON_UNGUESSED = "munkey-lesson-unguessed"  # whether somebody went on without an answer
LESSON_FINISHED = "munkey-lesson-finished"  # id of the lesson that was just played to its end
CAME_FROM = "munkey-came-from"  # the page a link for a class is about, when there is no lesson
ERASING = "munkey-erasing"  # what this session erases and has erased
ERASE_WRONG = "munkey-erase-wrong"  # what was typed instead of the count
DESK_OWNER = "munkey-desk-owner"  # the Request desk's chooser of an owner
DESK_IDS = "munkey-desk-ids"  # its field for ids
DESK_CSV = "munkey-desk-csv"  # its uploader of a CSV file; + how many were taken
DESK_COUNT = "munkey-desk-count"  # the count that confirms
DESK_REFERENCE = "munkey-desk-reference"
DESK_NEAR = "munkey-desk-near"  # the gallery of near-copies, whose click adds one to the request
DESK_RECEIPT = "munkey-desk-receipt"  # the chooser of an earlier receipt
DESK_LEDGER = "munkey-desk-ledger"  # page of the ledger
JOBS = "munkey-jobs"  # the jobs in the background whose end this session waits for
REFUSED = "munkey-refused:"  # + a field's key → why it was not followed
WORKING = "munkey-working:"  # + a part of a page → its newest background.Background
TOUCHED = "munkey-url:touched"  # whether a person did something in this run
LESSON_HIDES = "munkey-url:lesson-hides"  # groups of controls that the lesson's step hides

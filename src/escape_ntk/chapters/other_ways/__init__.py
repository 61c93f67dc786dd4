"""Other ways out of the NTK regime: who else learns dense plus sparse, from how many labels."""

from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 10)

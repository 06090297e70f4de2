from impl import my_flow, unrelated
from impl import my_flow as second
import impl

third = impl.my_flow
